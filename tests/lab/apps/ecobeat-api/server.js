"use strict";
// The Ecobeat API: sessions in Redis, events as JSON on standard output, and an end that lets requests finish.

const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const { Redis } = require("./redis");

const port = Number(process.env.PORT || 3001);
const secret = process.env.SESSION_SECRET || "";
// Releases are directories named after their commit.
const commit = path.basename(fs.realpathSync("."));
let redis = new Redis(process.env.REDIS_URL);

function log(level, event, fields) {
  process.stdout.write(JSON.stringify({ time: new Date().toISOString(), level, event, commit, ...fields }) + "\n");
}

async function ask(...words) {
  if (redis.socket.destroyed) redis = new Redis(process.env.REDIS_URL);
  await redis.ready;
  return redis.ask(...words);
}

function sign(session) {
  return crypto.createHmac("sha256", secret).update(session).digest("hex");
}

function answer(response, status, body) {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(JSON.stringify(body) + "\n");
}

async function handle(request, response) {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  if (pathname === "/health") {
    await ask("PING");
    return answer(response, 200, { status: "ok", commit, node: process.version, environment: process.env.NODE_ENV });
  }
  if (pathname === "/login") {
    const session = crypto.randomUUID();
    const token = `${session}.${sign(session)}`;
    await ask("SET", `session:${session}`, searchParams.get("user") || "", "EX", "3600");
    // Careless, as applications are: what leaves this instance has to be masked.
    log("info", "login", { email: searchParams.get("user"), authorization: `Bearer ${token}`, session_secret: secret });
    return answer(response, 200, { token });
  }
  if (pathname === "/me") {
    const [session, signature] = (request.headers.authorization || "").replace("Bearer ", "").split(".");
    if (!signature || signature !== sign(session)) return answer(response, 401, { error: "no session" });
    const user = await ask("GET", `session:${session}`);
    return user === null ? answer(response, 401, { error: "no session" }) : answer(response, 200, { user });
  }
  return answer(response, 404, { error: "not found" });
}

const server = http.createServer((request, response) => {
  handle(request, response).catch((error) => {
    log("error", "request failed", { path: request.url, error: error.message });
    answer(response, 503, { error: "not now" });
  });
});

server.listen(port, "127.0.0.1", () => log("info", "listening", { port, environment: process.env.NODE_ENV }));

process.on("SIGTERM", () => {
  log("info", "ending");
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
