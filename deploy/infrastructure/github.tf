# GitHub's workflows get in without a key, by the token that GitHub signs for each job (docs/automation.md).

locals {
  has_github = var.github_repository_id != ""
  principals = "principalSet://iam.googleapis.com/projects/${data.google_project.project.number}/locations/global/workloadIdentityPools/github"

  workflows = { for holder, member in {
    workflows  = "${local.principals}/attribute.repository/${var.github_repository_id}"
    production = "${local.principals}/attribute.gate/${var.github_repository_id}:production"
    staging    = "${local.principals}/attribute.gate/${var.github_repository_id}:staging"
  } : holder => { (holder) = member } if local.has_github }
}

resource "google_iam_workload_identity_pool" "github" {
  count                     = local.has_github ? 1 : 0
  workload_identity_pool_id = "github"
  depends_on                = [google_project_service.api]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  count                              = local.has_github ? 1 : 0
  workload_identity_pool_id          = google_iam_workload_identity_pool.github[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "github"

  # otherwise any repository on GitHub could get in
  attribute_condition = "assertion.repository_id == '${var.github_repository_id}'"

  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository_id"
    # a job outside an environment has none, and gets an empty gate
    "attribute.gate" = "has(assertion.environment)?assertion.repository_id+\":\"+assertion.environment:\"\""
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}
