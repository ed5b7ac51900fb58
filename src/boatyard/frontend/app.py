"""The frame around the pages, which Streamlit runs for every visitor and interaction."""

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from boatyard.config.errors import UserError
from boatyard.frontend import about, drift, models, predict, traffic
from boatyard.frontend.idle import leave_when_idle
from boatyard.frontend.mark import MARK, wordmark
from boatyard.frontend.services import Trouble, addresses
from boatyard.frontend.showing import explain, literal

Show = Callable[..., None]  # of the services that the page asks


def _page(show: Show, title: str, icon: str, *, default: bool = False) -> st.Page:
    def page() -> None:
        api, *others = addresses()
        try:
            show(replace(api, key=st.session_state.get("api-key", "").strip()), *others)
        except Trouble as trouble:
            explain(trouble)
        except UserError as wrong:  # the model's input or task is not installed here
            st.error(literal(wrong), icon=":material/error:")

    return st.Page(page, title=title, icon=f":material/{icon}:", url_path=title.lower(), default=default)


NAME = "Boatyard"

st.set_page_config(page_title=NAME, page_icon=MARK, layout="centered")
st.logo(wordmark(NAME), size="large", icon_image=str(MARK))
chosen = st.navigation(
    [
        _page(predict.show, "Predict", "chat", default=True),
        _page(models.show, "Models", "deployed_code"),
        _page(drift.show, "Drift", "waves"),  # part: monitor
        _page(traffic.show, "Traffic", "monitoring"),  # part: monitor
        _page(about.show, "About", "info"),
    ]
)
with st.sidebar.expander("Keys", icon=":material/key:"):
    # kept only in the session's memory, on this page's server
    st.text_input("API key", type="password", key="api-key", help="Where the api asks for one.")
    st.text_input("Admin key", type="password", key="admin-key", help="To promote and to roll back.")
chosen.run()
leave_when_idle()
