"""serve.py [--model NAME] ...: answers with what is in production of a registered model.

  POST /invocations   predictions for rows, as MLflow's server of models has it
  GET /ping, /health  200 when there is a model to answer with
  GET /version        which one that is, and why it may not be the one in production

Where MLflow is, is said by MLFLOW_TRACKING_URI, MLFLOW_TRACKING_USERNAME, and the file
/run/secrets/MLFLOW_TRACKING_PASSWORD or the variable of that name.
"""

import argparse
import os
import re
import threading
from pathlib import Path

import uvicorn
from app import App
from follow import Follower
from kept import Kept
from registry import Registry

MB = 10**6


def main() -> None:
    """Answer until SIGTERM; what is being answered then is answered still."""
    parser = argparse.ArgumentParser(
        prog="serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    named = os.environ.get("SERVE_MODEL")
    parser.add_argument("--model", default=named, help="in MLflow; else SERVE_MODEL says it")
    parser.add_argument("--port", type=int, default=8080, help="(%(default)s)")
    parser.add_argument("--every", type=float, default=5, help="seconds: to look (%(default)s)")
    parser.add_argument("--largest", type=int, default=8, help="MB: of a body (%(default)s)")
    parser.add_argument("--folder", type=Path, default="/var/lib/serve", help="(%(default)s)")
    given = parser.parse_args()
    if not given.model:
        parser.error("which model? Say --model NAME, or set SERVE_MODEL")
    if not re.match(r"https?://[^/]", os.environ.get("MLFLOW_TRACKING_URI", "")):
        parser.error("MLFLOW_TRACKING_URI is not set: say where MLflow is: http://mlflow:5000")
    app = App(given.model, given.largest * MB)
    follower = Follower(given.model, Registry(given.model), Kept(given.folder), app)
    threading.Thread(target=follower.follow, args=(given.every,), daemon=True).start()
    uvicorn.run(
        app,
        host="0.0.0.0",  # noqa: S104 - of the container
        port=given.port,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
