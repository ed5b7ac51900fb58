locals {
  # `invoke alerts` writes them, in the words of Cloud Monitoring's API
  policies = { for name in fileset("${path.module}/../alerts", "*.json") :
    trimsuffix(name, ".json") => jsondecode(file("${path.module}/../alerts/${name}")) if var.alert_email != ""
  }
}

resource "google_monitoring_notification_channel" "email" {
  count        = var.alert_email == "" ? 0 : 1
  display_name = "Boatyard"
  type         = "email"
  labels       = { email_address = var.alert_email }
  depends_on   = [google_project_service.api]
}

resource "google_monitoring_alert_policy" "alert" {
  for_each              = local.policies
  display_name          = each.value.displayName
  combiner              = each.value.combiner
  severity              = each.value.severity
  user_labels           = each.value.userLabels
  notification_channels = google_monitoring_notification_channel.email[*].name

  documentation {
    content   = each.value.documentation.content
    mime_type = each.value.documentation.mimeType
  }

  dynamic "conditions" {
    for_each = each.value.conditions
    content {
      display_name = conditions.value.displayName

      condition_prometheus_query_language {
        query                     = conditions.value.conditionPrometheusQueryLanguage.query
        duration                  = conditions.value.conditionPrometheusQueryLanguage.duration
        evaluation_interval       = conditions.value.conditionPrometheusQueryLanguage.evaluationInterval
        rule_group                = conditions.value.conditionPrometheusQueryLanguage.ruleGroup
        alert_rule                = conditions.value.conditionPrometheusQueryLanguage.alertRule
        disable_metric_validation = conditions.value.conditionPrometheusQueryLanguage.disableMetricValidation
      }
    }
  }

  alert_strategy {
    auto_close = each.value.alertStrategy.autoClose
  }
}

# part: monitor
# a drift report each morning, even if nobody opens the page
resource "google_cloud_scheduler_job" "drift" {
  count            = var.monitor_url == "" ? 0 : 1
  name             = "boatyard-drift"
  region           = var.region
  schedule         = "17 5 * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "300s" # as long as the monitor may take
  depends_on       = [google_project_service.api]

  http_target {
    http_method = "POST"
    uri         = "${var.monitor_url}/drift/run"

    oidc_token {
      service_account_email = google_service_account.account["run"].email
      audience              = var.monitor_url
    }
  }
}
# part end
