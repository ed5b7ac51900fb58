variable "project" {
  description = "The project's id. It exists, and a billing account pays for it."
  type        = string
}

variable "region" {
  description = "Where all of it is, as cloud.region in configs/config.yaml."
  type        = string
  default     = "europe-west1"
}

variable "bucket" {
  description = "The bucket's name, unlike any other on Google Cloud: BOATYARD_STORAGE is gs://BUCKET/PREFIX."
  type        = string
}

variable "prefix" {
  description = "The prefix below the bucket, without slashes at its ends."
  type        = string
  default     = "boatyard"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$", var.prefix))
    error_message = "The prefix is one name or several, with slashes between them only."
  }
}

variable "repository" {
  description = "The repository of images, as cloud.repository in configs/config.yaml."
  type        = string
  default     = "boatyard"
}

variable "users" {
  description = "Who types the commands, as IAM writes them: user:ann@example.org."
  type        = set(string)
}

variable "secrets" {
  description = "Those to create, empty: wandb-api-key for tracking=wandb, hf-token for cloud.train.hub_login, boatyard-api-keys and boatyard-staging-api-keys for public services."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.secrets, ["wandb-api-key", "hf-token", "boatyard-api-keys", "boatyard-staging-api-keys"])) == 0
    error_message = "A secret is wandb-api-key, hf-token, boatyard-api-keys or boatyard-staging-api-keys."
  }
}

variable "github_repository_id" {
  description = "The number of the repository on GitHub, as `gh api repos/OWNER/REPOSITORY --jq .id` prints it. Empty: its workflows get no access."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[0-9]*$", var.github_repository_id))
    error_message = "The repository's number, not its name."
  }
}

variable "billing_account" {
  description = "The account that pays, such as 0123AB-4567CD-89EF01: for the budget only. Empty: no budget."
  type        = string
  default     = ""
}

variable "budget" {
  description = "Of a month, in the billing account's currency. Half of it, and all of it, sends an email; it stops nothing."
  type        = number
  default     = 50
}

variable "alert_email" {
  description = "Who gets the alerts of deploy/alerts/. Empty: there are none."
  type        = string
  default     = ""
}

# part: monitor
variable "monitor_url" {
  description = "The address of boatyard-monitor, as `invoke cloud.status` prints it. Empty, before it is deployed: nothing asks for a daily drift report."
  type        = string
  default     = ""
}
# part end
