# Which roles there are is said in src/boatyard/cloud/access.py alone: `invoke infrastructure` writes table.json from it.

locals {
  table = jsondecode(file("${path.module}/table.json"))

  # by the holder's name in the table: IAM's members, by a name that is known before they exist
  holders = merge(
    { for role, account in google_service_account.account : role => { (role) = account.member } },
    { you = { for user in var.users : user => user } },
    local.workflows,
  )

  grants = merge([
    for grant in local.table.grants : {
      for label, member in lookup(local.holders, grant.holder, {}) :
      join(" ", compact([label, grant.role, grant.on, try(grant.name, "")])) => {
        member = member
        role   = grant.role
        on     = grant.on
        name   = try(grant.name, "")
      }
    } if grant.on != "secret" || contains(var.secrets, try(grant.name, ""))
  ]...)
}

resource "google_project_iam_member" "grant" {
  for_each = { for key, grant in local.grants : key => grant if grant.on == "project" }
  project  = var.project
  role     = each.value.role
  member   = each.value.member
}

resource "google_storage_bucket_iam_member" "grant" {
  for_each = { for key, grant in local.grants : key => grant if grant.on == "bucket" }
  bucket   = google_storage_bucket.bucket.name
  role     = each.value.role
  member   = each.value.member
}
# part: monitor

resource "google_storage_managed_folder_iam_member" "grant" {
  for_each       = { for key, grant in local.grants : key => grant if grant.on == "folder" }
  bucket         = google_storage_bucket.bucket.name
  managed_folder = { monitor = google_storage_managed_folder.monitor.name }[each.value.name]
  role           = each.value.role
  member         = each.value.member
}
# part end

resource "google_artifact_registry_repository_iam_member" "grant" {
  for_each   = { for key, grant in local.grants : key => grant if grant.on == "repository" }
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = each.value.role
  member     = each.value.member
}

resource "google_service_account_iam_member" "grant" {
  for_each           = { for key, grant in local.grants : key => grant if grant.on == "account" }
  service_account_id = google_service_account.account[each.value.name].name
  role               = each.value.role
  member             = each.value.member
  depends_on         = [google_iam_workload_identity_pool.github]
}

resource "google_secret_manager_secret_iam_member" "grant" {
  for_each  = { for key, grant in local.grants : key => grant if grant.on == "secret" }
  secret_id = google_secret_manager_secret.secret[each.value.name].id
  role      = each.value.role
  member    = each.value.member
}
