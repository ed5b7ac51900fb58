"""The part that learns. Torch and scikit-learn are loaded by what needs them: whoever prepares rows needs neither."""

from boatyard.config.plugins import lazily

__getattr__ = lazily(
    __package__,
    {
        "SIZE_UNIT": "rows",
        "COST_UNIT": "rows",
        "REPEATS": "rows",
        "row_format": "rows",
        "content_key": "rows",
        "group_key": "rows",
        "relatives": "alike",
        "size": "rows",
        "unservable": "rows",
        "show": "rows",
        "canvas": "rows",
        "groups": "rows",
        "request": "rows",
        "open_sources": "sources",
        "settle": "sources",
        "report_rows": "report",
        "request_schema": "encoder",
        "limits": "encoder",
        "make_inputs": "encoder",
        "open_encoder": "encoder",
        "digest_of_start": "rows",
        "backbone_shape": "backbone",
        "build_backbone": "backbone",
        "open_variation": "backbone",
        "open_learner": "backbone",
        "open_counted": "backbone",
        "alternative": "backbone",
        "export_graph": "backbone",
        "quantize_graph": "backbone",
        "simple_features": "features",
    },
)
