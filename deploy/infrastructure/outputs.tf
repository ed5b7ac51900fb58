output "environment" {
  description = "For the commands here: export each of them."
  value = {
    GOOGLE_CLOUD_PROJECT = var.project

    BOATYARD_STORAGE = "gs://${google_storage_bucket.bucket.name}/${var.prefix}"
  }
}

output "github_variables" {
  description = "For the repository on GitHub, under Settings > Secrets and variables > Actions > Variables."
  value = local.has_github ? {
    WORKLOAD_IDENTITY_PROVIDER = google_iam_workload_identity_pool_provider.github[0].name
    SERVICE_ACCOUNT            = google_service_account.account["check"].email
    GOOGLE_CLOUD_PROJECT       = var.project

    BOATYARD_STORAGE = "gs://${google_storage_bucket.bucket.name}/${var.prefix}"
  } : null
}
