# Passwords are made once and then stay. Each user has two, a and b: the service uses those of var.credentials_slot, and the
# others can be replaced without anybody noticing (-replace='terraform_data.password["redis_cache_app_b"]').

locals {
  users = [
    "postgres_app", "postgres_manage", "postgres_batch",
    "redis_cache_app", "redis_cache_manage", "redis_cache_batch",
    "redis_codes_app", "redis_codes_manage", "redis_codes_batch",
    "redis_operator",
  ]
  passwords = toset(concat(
    flatten([for user in local.users : ["${user}_a", "${user}_b"]]),
    ["redis_default", "origin_header"],
  ))

  # The value is a secret all the same, although it comes by a resource that does not say so.
  password = { for name in local.passwords : name => sensitive(terraform_data.password[name].output) }

  postgres_suffix = { a = "", b = "_b" }[var.credentials_slot]
}

data "aws_secretsmanager_random_password" "new" {
  for_each            = local.passwords
  password_length     = 40
  exclude_punctuation = true
}

# A new one is read each time; only that of the first time counts.
resource "terraform_data" "password" {
  for_each = local.passwords
  input    = data.aws_secretsmanager_random_password.new[each.key].random_password

  lifecycle {
    ignore_changes = [input]
  }
}

data "aws_secretsmanager_random_password" "codes_key" {
  password_length     = 64
  exclude_punctuation = true
}

# The key of the codes: whoever has it can tell which come next. The batch refuses another one until `codes rotate-key`.
resource "terraform_data" "codes_key" {
  input = sha256(data.aws_secretsmanager_random_password.codes_key.random_password)

  lifecycle {
    ignore_changes = [input]
  }
}

# One secret for each reader, so that none can read more than it needs.

resource "aws_secretsmanager_secret" "api" {
  #checkov:skip=CKV2_AWS_57:Passwords are replaced through their second slot by an operator: see infra/README.md.
  name                    = "${local.name}/api"
  description             = "Passwords of the components"
  kms_key_id              = aws_kms_key.main.arn
  recovery_window_in_days = local.production ? 30 : 7
}

resource "aws_secretsmanager_secret_version" "api" {
  secret_id = aws_secretsmanager_secret.api.id

  secret_string = jsonencode({
    postgres_password           = local.password["postgres_app_${var.credentials_slot}"]
    redis_cache_password        = local.password["redis_cache_app_${var.credentials_slot}"]
    redis_codes_password        = local.password["redis_codes_app_${var.credentials_slot}"]
    manage_postgres_password    = local.password["postgres_manage_${var.credentials_slot}"]
    manage_redis_cache_password = local.password["redis_cache_manage_${var.credentials_slot}"]
    manage_redis_codes_password = local.password["redis_codes_manage_${var.credentials_slot}"]
  })
}

resource "aws_secretsmanager_secret" "batch" {
  #checkov:skip=CKV2_AWS_57:Passwords are replaced through their second slot by an operator, the key by `codes rotate-key`: see infra/README.md.
  name                    = "${local.name}/batch"
  description             = "Addresses with passwords, and the key of the codes, of the batch"
  kms_key_id              = aws_kms_key.main.arn
  recovery_window_in_days = local.production ? 30 : 7
}

resource "aws_secretsmanager_secret_version" "batch" {
  secret_id = aws_secretsmanager_secret.batch.id

  secret_string = jsonencode({
    database_url    = "postgres://shortlink_batch${local.postgres_suffix}:${local.password["postgres_batch_${var.credentials_slot}"]}@${aws_db_instance.main.address}:${aws_db_instance.main.port}/short_link?sslmode=require"
    redis_cache_url = "rediss://shortlink_batch:${local.password["redis_cache_batch_${var.credentials_slot}"]}@${aws_elasticache_replication_group.redis["cache"].primary_endpoint_address}:6379/0"
    redis_codes_url = "rediss://shortlink_batch:${local.password["redis_codes_batch_${var.credentials_slot}"]}@${aws_elasticache_replication_group.redis["codes"].primary_endpoint_address}:6379/0"
    codes_key       = sensitive(terraform_data.codes_key.output)
  })
}

# For the task that makes the roles, and for operators.
resource "aws_secretsmanager_secret" "operator" {
  #checkov:skip=CKV2_AWS_57:Passwords are replaced through their second slot by an operator: see infra/README.md.
  name                    = "${local.name}/operator"
  description             = "Passwords of the roles of Postgres, and of the operator of both Redis"
  kms_key_id              = aws_kms_key.main.arn
  recovery_window_in_days = local.production ? 30 : 7
}

resource "aws_secretsmanager_secret_version" "operator" {
  secret_id = aws_secretsmanager_secret.operator.id

  secret_string = jsonencode({
    postgres_app      = local.password["postgres_app_a"]
    postgres_app_b    = local.password["postgres_app_b"]
    postgres_manage   = local.password["postgres_manage_a"]
    postgres_manage_b = local.password["postgres_manage_b"]
    postgres_batch    = local.password["postgres_batch_a"]
    postgres_batch_b  = local.password["postgres_batch_b"]
    redis_operator    = local.password["redis_operator_${var.credentials_slot}"]
  })
}
