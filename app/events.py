"""How the tabs' events are answered."""

from typing import Any

#: Many viewers at once, without Gradio's queue. Progress is shown on one small component, though it is
#: hidden: the browser copies all properties of those that it could be shown on.
QUIET: dict[str, Any] = {
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    "queue": False,
    "preprocess": False,
    "api_visibility": "private",
}
