# Two commits: one that answers, and one that dies at its start.
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com
export GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z" GIT_CONFIG_GLOBAL=/dev/null
git init -q -b main work
cd work
cat > serve.py <<'PYTHON'
import http.server, os, socket, socketserver

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"well\n")

    def log_message(self, *_):
        pass

socketserver.TCPServer.allow_reuse_address = True
server = socketserver.TCPServer(("127.0.0.1", int(os.environ.get("PORT", 8000))), Answer)
# Its start is over when it answers, so that no test depends on how long that takes.
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
server.serve_forever()
PYTHON
git add .
git commit -q -m "it answers"
git tag v1
echo 'raise SystemExit("the new revision is broken")' > serve.py
git commit -q -a -m "it dies"
git tag broken
git checkout -q v1
sed -i 's/well/better/' serve.py
git commit -q -a -m "it answers better"
git tag better
git clone -q --bare . ../repository.git
cd ..
rm -rf work
