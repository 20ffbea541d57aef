"""`python -m app`: starts the web app."""

import argparse
import os
from pathlib import Path

from leaderboard.store.publish import STATE


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app", description="Serves the leaderboard.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (%(default)s)")
    parser.add_argument("--state", type=Path, default=STATE, help="folder of published boards (%(default)s)")
    options = parser.parse_args()

    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before the import: nothing goes to other hosts
    from app.build import LOOK, build_app
    from leaderboard.store.read import BoardReader

    app = build_app(BoardReader(options.state))
    try:
        app.launch(
            server_name=options.host,
            server_port=options.port,
            share=False,
            ssr_mode=False,
            enable_monitoring=False,
            **LOOK,
        )
    except (OSError, OverflowError):
        parser.error(f"can't listen on {options.host}:{options.port}; give another --host or --port")


if __name__ == "__main__":
    main()
