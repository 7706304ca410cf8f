terraform {
  required_version = ">= 1.11.0, < 2.0.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }

  # Bucket, region and key of encryption come by -backend-config: see infra/tf.
  backend "s3" {
    key          = "short-link/setup.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge({
      Application = var.name
      Environment = terraform.workspace
      ManagedBy   = "terraform"
      Root        = "infra/setup"
    }, var.tags)
  }
}
