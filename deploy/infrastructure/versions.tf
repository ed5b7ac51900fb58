# A project on Google Cloud for Boatyard; docs/google-cloud.md says how to apply it, and what was not run.

terraform {
  required_version = ">= 1.8" # of Terraform or of OpenTofu

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "7.12.0"
    }
  }

  # The state is a file here, and says what is deployed: share it in a bucket, which must exist before
  # backend "gcs" {
  #   bucket = "my-state"
  # }
}

provider "google" {
  project               = var.project
  region                = var.region
  billing_project       = var.project
  user_project_override = true # budgets are refused to a person's credentials without it
}
