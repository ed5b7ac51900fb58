locals {
  # what old files and images are deleted by: the same files that gcloud reads
  lifecycle = jsondecode(file("${path.module}/../storage/lifecycle.json")).rule
  cleanup   = jsondecode(file("${path.module}/../cloudbuild/cleanup.json"))
}

resource "google_storage_bucket" "bucket" {
  name                        = var.bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false # models and the journal are not deleted by a slip
  depends_on                  = [google_project_service.api]

  soft_delete_policy {
    retention_duration_seconds = 0 # each checkpoint that training replaced would be charged for a week
  }

  dynamic "lifecycle_rule" {
    for_each = local.lifecycle
    content {
      action {
        type = lifecycle_rule.value.action.type
      }
      condition {
        age            = lifecycle_rule.value.condition.age
        matches_prefix = [for prefix in lifecycle_rule.value.condition.matchesPrefix : replace(prefix, "/^boatyard\\//", "${var.prefix}/")]
      }
    }
  }
}
# part: monitor

# has roles of its own: a workflow that looks at drift writes here and nowhere else
resource "google_storage_managed_folder" "monitor" {
  bucket        = google_storage_bucket.bucket.name
  name          = "${var.prefix}/monitor/"
  force_destroy = true # the reports stay in the bucket
}
# part end

resource "google_artifact_registry_repository" "images" {
  repository_id = var.repository
  location      = var.region
  format        = "DOCKER"
  depends_on    = [google_project_service.api]

  dynamic "cleanup_policies" {
    for_each = local.cleanup
    content {
      id     = cleanup_policies.value.name
      action = upper(cleanup_policies.value.action.type)

      dynamic "condition" {
        for_each = [for condition in [try(cleanup_policies.value.condition, null)] : condition if condition != null]
        content {
          tag_state  = upper(condition.value.tagState)
          older_than = condition.value.olderThan
        }
      }

      dynamic "most_recent_versions" {
        for_each = [for newest in [try(cleanup_policies.value.mostRecentVersions, null)] : newest if newest != null]
        content {
          keep_count = most_recent_versions.value.keepCount
        }
      }
    }
  }
}
