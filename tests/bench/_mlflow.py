"""A tracking server that can be stopped and started again: MLflow's own application, in a thread."""

import logging
import os
import threading
import warnings

import mlflow.server
from mlflow.server import handlers
from werkzeug.serving import WSGIRequestHandler, make_server

with warnings.catch_warnings():  # the server imports it at its first answer, and would answer 500 for its notice
    warnings.simplefilter("ignore")
    import starlette.middleware.wsgi  # noqa: F401


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.0"  # no connection outlives its answer, or a stopped server would go on over those it has


class Server:
    """On one port and one database for as long as the test lasts."""

    def __init__(self, folder, database, monkeypatch):
        monkeypatch.setenv(mlflow.server.BACKEND_STORE_URI_ENV_VAR, f"sqlite:///{database}")
        monkeypatch.setenv(mlflow.server.ARTIFACT_ROOT_ENV_VAR, str(folder / "artifacts"))
        monkeypatch.setattr(handlers, "_tracking_store", None)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.port, self.running = 0, None
        self.start()

    @property
    def uri(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self.running = make_server("127.0.0.1", self.port, mlflow.server.app, threaded=True, request_handler=_Handler)
        self.port = self.running.port
        threading.Thread(target=self.running.serve_forever, daemon=True).start()

    def stop(self):
        if self.running:
            self.running.shutdown()
            self.running.server_close()
        self.running = None
        os.environ.pop("MLFLOW_TRACKING_URI", None)  # the application sets it to its own database
