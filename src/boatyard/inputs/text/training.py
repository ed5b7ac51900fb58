"""The part that learns. Torch and scikit-learn are loaded by what needs them: whoever prepares rows needs neither."""

from boatyard.config.plugins import lazily

__getattr__ = lazily(
    __package__,
    {
        "SIZE_UNIT": "rows",
        "open_sources": "rows",
        "row_format": "rows",
        "content_key": "rows",
        "group_key": "rows",
        "relatives": "rows",
        "size": "rows",
        "unservable": "rows",
        "show": "rows",
        "canvas": "rows",
        "groups": "rows",
        "request": "rows",
        "settle": "rows",
        "report_rows": "report",
        "request_schema": "encoder",
        "limits": "serving",
        "COST_UNIT": "encoder",
        "REPEATS": "rows",
        "make_inputs": "encoder",
        "open_encoder": "encoder",
        "digest_of_start": "tokenizer",
        "backbone_shape": "backbone",
        "build_backbone": "backbone",
        "open_learner": "backbone",
        "open_counted": "counted",
        "open_variation": "backbone",
        "alternative": "backbone",
        "export_graph": "graph",
        "quantize_graph": "graph",
        "simple_features": "features",
    },
)
