"""Google Cloud: train on Vertex AI, serve on Cloud Run. REST only, so that a stand-in for it stays small."""
