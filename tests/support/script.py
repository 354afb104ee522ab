# script.py PORT [word ...]: a service of a few lines that waits where it is told to. What it waits for are pipes beside
# it, at which it goes on as soon as somebody has opened them for writing.
#   boot    it listens once `boot` was opened        refuse  it answers 503 while the file `ready` is missing
#   linger  after SIGTERM it closes its port at once, and ends once `end` was opened
import http.server, os, signal, sys, threading
port, words = int(sys.argv[1]), sys.argv[2:]
if "boot" in words: open("boot").read()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        code = 503 if "refuse" in words and not os.path.exists("ready") else 200
        body = b'{"status": "healthy"}'
        self.send_response(code); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
def end():
    if "linger" in words:
        server.socket.close()
        open("end").read()
    os._exit(0)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=end, daemon=True).start())
server.serve_forever()
