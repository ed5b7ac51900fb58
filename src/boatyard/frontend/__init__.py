"""The web page: Streamlit pages that speak HTTP to the api and the monitor. `python -m boatyard.frontend` serves it."""
