"""A web server on this machine that misbehaves as a test asks."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Serves `files` (path -> bytes). `behave(handler)` may answer in its own way and returns whether it did."""

    def __init__(self):
        self.files, self.asked, self.etag, self.behave = {}, [], '"one"', lambda handler: False
        self.released = threading.Event()  # ends whatever stalls
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                owner.asked.append((self.path, self.headers.get("Range")))
                with contextlib.suppress(ConnectionError):
                    if not owner.behave(self):
                        owner.serve(self)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def root(self):
        return f"http://127.0.0.1:{self.http.server_port}"

    def close(self):
        self.released.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    def serve(self, handler, *, ranges=True, length=None, cut=None, status=None):
        """The right answer, unless told otherwise: without ranges, with a false length, cut after so many bytes."""
        content = self.files.get(handler.path)
        if content is None:
            handler.send_error(404)
            return
        asked, fresh = handler.headers.get("Range"), handler.headers.get("If-Range") in (None, self.etag)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and ranges and fresh else 0
        if start and start >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(status or (206 if start else 200))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.etag:
            handler.send_header("ETag", self.etag)
        body = content[start:]
        if length != "none":
            handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body if cut is None else body[:cut])
