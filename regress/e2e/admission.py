# An admission server for tests: admission.py address port file [certificate]
# The first word of the file says what it does: allow, refuse, error, slow,
# garbage; it prints every question.
import http.server, json, ssl, sys, time


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        asked = json.loads(body)
        print(asked['NodePublic'], asked['Source'], flush=True)
        how = open(sys.argv[3]).read().split()[0]
        if how == 'slow':
            time.sleep(7)
        answer = json.dumps({'Allow': how in ('allow', 'slow')}).encode()
        if how == 'garbage':
            answer = b'[' * 3000
        try:
            self.send_response(500 if how == 'error' else 200)
            self.send_header('Content-Length', str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except OSError:
            pass

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])),
                                         Handler)
if len(sys.argv) > 4:
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(sys.argv[4])
    server.socket = ctx.wrap_socket(server.socket, server_side=True)
server.serve_forever()
