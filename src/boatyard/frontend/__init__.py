"""The web page: Streamlit pages that speak HTTP to the other services. `python -m boatyard.frontend` serves it."""
