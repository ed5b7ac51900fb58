"""The part that learns. Torch and scikit-learn are loaded by what needs them: whoever prepares rows needs neither."""

from boatyard.config.plugins import lazily

__getattr__ = lazily(
    __package__,
    {
        "SIZE_UNIT": "rows",
        "COST_UNIT": "rows",
        "REPEATS": "rows",
        "open_sources": "rows",
        "settle": "rows",
        "row_format": "rows",
        "content_key": "rows",
        "group_key": "rows",
        "relatives": "rows",
        "size": "rows",
        "unservable": "rows",
        "show": "rows",
        "canvas": "rows",
        "groups": "groups",
        "request": "rows",
        "limits": "rows",
        "report_rows": "report",
        "request_schema": "encoder",
        "make_inputs": "encoder",
        "digest_of_start": "rows",
        "backbone_shape": "models",
        "build_backbone": "models",
        "open_learner": "models",
        "open_counted": "models",
        "open_variation": "rows",
        "alternative": "models",
        "export_graph": "models",
        "quantize_graph": "models",
        "open_encoder": "encoder",
        "simple_features": "features",
    },
)
