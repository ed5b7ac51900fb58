data "google_project" "project" {
  project_id = var.project
}

resource "google_project_service" "api" {
  for_each           = toset(local.table.apis)
  service            = each.value
  disable_on_destroy = false # something else may use it
}

# one trains, one serves, one builds; two more are for the workflows on GitHub
resource "google_service_account" "account" {
  for_each   = toset(concat(["train", "run", "build"], local.has_github ? ["check", "release"] : []))
  account_id = "boatyard-${each.value}"
  depends_on = [google_project_service.api]
}

# their values are typed: gcloud secrets versions add NAME --data-file=-
resource "google_secret_manager_secret" "secret" {
  for_each   = var.secrets
  secret_id  = each.value
  depends_on = [google_project_service.api]

  replication {
    auto {}
  }
}
