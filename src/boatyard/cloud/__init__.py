"""Google Cloud: Vertex AI trains, Cloud Run serves. Only REST, so that what stands in for it can be small."""
