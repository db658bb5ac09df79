"use strict";
// As much of Redis' protocol as sessions need: each command waits for its answer, in order.

const net = require("node:net");

class Redis {
  constructor(url) {
    const { hostname, port, password } = new URL(url);
    this.waiting = [];
    this.rest = Buffer.alloc(0);
    this.socket = net.connect({ host: hostname, port: Number(port || 6379) });
    this.socket.on("data", (data) => this.#read(data));
    this.socket.on("error", (error) => this.#fail(error));
    this.socket.on("close", () => this.#fail(new Error("redis has closed the connection")));
    if (password) this.ready = this.ask("AUTH", decodeURIComponent(password));
  }

  ask(...words) {
    return new Promise((resolve, reject) => {
      if (this.socket.destroyed) return reject(new Error("no connection to redis"));
      this.waiting.push({ resolve, reject });
      const parts = words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`);
      this.socket.write(`*${words.length}\r\n${parts.join("")}`);
    });
  }

  #read(data) {
    this.rest = Buffer.concat([this.rest, data]);
    for (let answer = this.#next(); answer; answer = this.#next()) {
      const { resolve, reject } = this.waiting.shift();
      answer.error ? reject(new Error(answer.error)) : resolve(answer.value);
    }
  }

  // The next whole answer: a status, an error, a number or a text.
  #next() {
    const end = this.rest.indexOf("\r\n");
    if (end < 0) return null;
    const kind = String.fromCharCode(this.rest[0]);
    const line = this.rest.toString("utf8", 1, end);
    let used = end + 2;
    let answer = { value: line };
    if (kind === "-") answer = { error: line };
    if (kind === ":") answer = { value: Number(line) };
    if (kind === "$") {
      const size = Number(line);
      if (size < 0) answer = { value: null };
      else if (this.rest.length < used + size + 2) return null;
      else {
        answer = { value: this.rest.toString("utf8", used, used + size) };
        used += size + 2;
      }
    }
    this.rest = this.rest.subarray(used);
    return answer;
  }

  #fail(error) {
    this.waiting.splice(0).forEach(({ reject }) => reject(error));
  }
}

module.exports = { Redis };
