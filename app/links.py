"""A view's link: the state of a tab as a query string, and back.

A state is a frozen dataclass of texts, whole numbers and tuples of texts, all with defaults. What is as by
default is left out of the link.
"""

from collections.abc import Iterable
from dataclasses import fields
from html import escape
from typing import Any, TypeVar
from urllib.parse import urlencode

State = TypeVar("State")

#: Characters of a text, and texts of a tuple, that a link may bring.
LONGEST, MOST = 300, 60
#: Digits of a number.
_DIGITS = 9

#: For `js=` of an event: puts the shown tab's link into the browser's address, and leaves the theme there.
FOLLOW = """() => {
    const link = [...document.querySelectorAll('a.view-link')].find(link => link.offsetParent);
    if (!link) return;
    const theme = new URLSearchParams(location.search).get('__theme');
    const query = new URLSearchParams(link.getAttribute('href'));
    if (theme) query.set('__theme', theme);
    history.replaceState(history.state, '', '?' + query);
}"""
#: For `js_on_load` of the gr.HTML that shows the link: the same whenever it changes; and when somebody goes
#: back to a page of before, the event `select`, which brings its `query`.
FOLLOWED = f"""const follow = {FOLLOW};
follow();
watch('value', follow);
window.onpopstate = () => {{
    if (element.offsetParent) trigger('select', {{query: location.search}});
    else location.reload();
}};"""
_CLICKS = """element.addEventListener('click', event => {
    const link = event.target.closest('a[href^="?tab=TAB"]');
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    history.pushState(history.state, '');
    window.scrollTo(0, 0);
    trigger('select', {query: link.getAttribute('href')});
});"""


def clicks(tab: str) -> str:
    """For `js_on_load` of a gr.HTML: a click on a link within the tab is the event `select`, which brings
    `query`; the page before it stays in the browser's history.
    """
    return _CLICKS.replace("TAB", tab)


CLICKS = clicks("leaderboard")


def query(state: Any, tab: str) -> str:
    """`?tab=leaderboard&view=pair&pair=Liver-CT`; an empty tuple that is not empty by default is `name=`."""
    told = [("tab", tab)]
    for field in fields(state):
        value = getattr(state, field.name)
        if value != field.default:
            told += [
                (field.name, str(one)) for one in (value or ("",) if isinstance(value, tuple) else (value,))
            ]
    return f"?{urlencode(told)}"


def state(kind: type[State], told: Iterable[tuple[str, str]]) -> State:
    """The state that a query's names and values tell of; what is unknown or can't be is as by default.

    Args:
        kind: the dataclass.
        told: as `query_params.multi_items()` gives them; anybody may have written them.
    """
    given: dict[str, list[str]] = {}
    for name, text in told:
        given.setdefault(name, []).append(text)
    values = {}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name in given:
            value = _value(field.default, given[field.name])
            if value is not None:
                values[field.name] = value
    return kind(**values)


def tab(told: Iterable[tuple[str, str]]) -> str:
    """The tab that a query names; empty if none."""
    return dict(told).get("tab", "")


def told(request: Any) -> list[tuple[str, str]]:
    """Names and values of the page's query; `request` is what Gradio hands to a handler, or None."""
    found = getattr(request, "query_params", None)
    return [] if found is None else list(found.multi_items())


def html(state: Any, tab: str, text: str = "Link to this view") -> str:
    """The link that one may copy; `FOLLOW` looks for it."""
    link = f'<a class="view-link" href="{escape(query(state, tab))}">{escape(text)}</a>'
    return f'<p class="view-link-line">{link}</p>'


def _value(default: Any, texts: list[str]) -> Any:
    """A value of the default's type, or None."""
    if any(len(text) > LONGEST or "\0" in text for text in texts):
        return None
    if isinstance(default, tuple):
        return tuple(text for text in texts[:MOST] if text)
    if isinstance(default, int):
        text = texts[-1]
        return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None
    return texts[-1]
