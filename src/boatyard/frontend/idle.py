"""A tab that nobody uses leaves the page: its WebSocket is a request, which may keep an instance running.

Streamlit has no such limit, and a tab whose connection the server closes makes another. So the tab itself must go.
"""

import streamlit as st

from boatyard.frontend.settings import Settings

# a script with a tag in its text is dropped by what Streamlit cleans HTML with: so \x3c, not <
_SCRIPT = """<script>
if (!window.leavesWhenIdle) {
  window.leavesWhenIdle = true
  let timer
  const leave = () => {
    const address = location.href.replaceAll('&', '&amp;').replaceAll('"', '&quot;')
    const left = `\\x3cmeta charset="utf-8">\\x3ctitle>${document.title}\\x3c/title>
      \\x3cp>Nobody used this page for a while, so it has let go of its server.
      \\x3ca href="${address}">Go on\\x3c/a>\\x3c/p>`
    location.replace(URL.createObjectURL(new Blob([left], {type: 'text/html'})))
  }
  const used = () => { clearTimeout(timer); timer = setTimeout(leave, MILLISECONDS) }
  for (const event of ['pointerdown', 'keydown', 'wheel', 'touchmove']) addEventListener(event, used, {passive: true})
  document.addEventListener('visibilitychange', () => { if (!document.hidden) used() })
  used()
}
</script>"""


def leave_when_idle() -> None:
    """After BOATYARD_IDLE_MINUTES without a touch; never without that variable."""
    if minutes := Settings.from_environment().idle_minutes:
        script = _SCRIPT.replace("MILLISECONDS", str(round(minutes * 60_000)))
        st.html(script, unsafe_allow_javascript=True)
