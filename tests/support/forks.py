# forks.py PORT: a server that answers from a worker, which it forks anew each time that somebody has opened the pipe `again`
# for writing; it counts the workers in the file `forks`. A worker ends with its master.
import http.server, os, signal, socket, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *_): pass
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
alive, held = os.pipe()
def end_with_master():
    os.read(alive, 1)
    os._exit(0)
def work():
    os.close(held)
    threading.Thread(target=end_with_master, daemon=True).start()
    server = http.server.ThreadingHTTPServer(listener.getsockname(), Handler, bind_and_activate=False)
    server.socket.close(); server.socket = listener
    server.serve_forever()
count = 0
while True:
    worker = os.fork()
    if worker == 0: work()
    count += 1
    with open("forks.new", "w") as file: file.write(str(count))
    os.rename("forks.new", "forks")
    open("again").read()
    os.kill(worker, signal.SIGTERM); os.waitpid(worker, 0)
