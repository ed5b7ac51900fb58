"""The part that learns. Torch and scikit-learn are loaded by what needs them: whoever prepares rows needs neither."""

from boatyard.config.plugins import lazily

COST_UNIT = "rows"
quantize_graph = None  # a network this small gains nothing, and numbers lose
__getattr__ = lazily(
    __package__,
    {
        "SIZE_UNIT": "rows",
        "open_sources": "rows",
        "settle": "rows",
        "row_format": "rows",
        "content_key": "rows",
        "group_key": "rows",
        "size": "rows",
        "unservable": "rows",
        "show": "rows",
        "request": "rows",
        "limits": "rows",
        "digest_of_start": "rows",
        "report_rows": "report",
        "request_schema": "encoder",
        "make_inputs": "encoder",
        "open_encoder": "encoder",
        "backbone_shape": "backbone",
        "build_backbone": "backbone",
        "export_graph": "rows",
        "simple_features": "features",
    },
)
