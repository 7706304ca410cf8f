# The two Redis: the cache drops what is asked for least, the pool of codes drops nothing. Their users may do what
# infra/local/redis-*.acl says, and no more.

locals {
  redis = {
    cache = {
      class         = local.size.cache_class
      policy        = "volatile-lfu"
      snapshot_days = 0
      description   = "Links, all of which can be had again from Postgres"
    }
    codes = {
      class         = local.size.codes_class
      policy        = "noeviction"
      snapshot_days = local.size.codes_snapshot_days
      description   = "Codes for new links"
    }
  }

  # User group, name, rights and the passwords that work.
  redis_users = {
    cache-default  = { of = "cache", name = "default", rights = "off ~none -@all +ping", passwords = ["redis_default"] }
    cache-app      = { of = "cache", name = "shortlink_app", rights = "on ~link:* resetchannels -@all +get +set +ping +select", passwords = ["redis_cache_app_a", "redis_cache_app_b"] }
    cache-manage   = { of = "cache", name = "shortlink_manage", rights = "on ~link:* resetchannels -@all +set +ping +select", passwords = ["redis_cache_manage_a", "redis_cache_manage_b"] }
    cache-batch    = { of = "cache", name = "shortlink_batch", rights = "on ~link:* resetchannels -@all +set +ping +select", passwords = ["redis_cache_batch_a", "redis_cache_batch_b"] }
    cache-operator = { of = "cache", name = "shortlink_operator", rights = "on ~* &* +@all", passwords = ["redis_operator_a", "redis_operator_b"] }
    codes-default  = { of = "codes", name = "default", rights = "off ~none -@all +ping", passwords = ["redis_default"] }
    codes-app      = { of = "codes", name = "shortlink_app", rights = "on ~shortlink:codes resetchannels -@all +lpop +llen +ping +select", passwords = ["redis_codes_app_a", "redis_codes_app_b"] }
    codes-manage   = { of = "codes", name = "shortlink_manage", rights = "on ~shortlink:codes resetchannels -@all +lpop +ping +select", passwords = ["redis_codes_manage_a", "redis_codes_manage_b"] }
    codes-batch    = { of = "codes", name = "shortlink_batch", rights = "on ~shortlink:codes resetchannels -@all +rpush +llen +ping +select", passwords = ["redis_codes_batch_a", "redis_codes_batch_b"] }
    codes-operator = { of = "codes", name = "shortlink_operator", rights = "on ~* &* +@all", passwords = ["redis_operator_a", "redis_operator_b"] }
  }
}

resource "aws_elasticache_user" "redis" {
  for_each      = local.redis_users
  user_id       = "${local.name}-${each.key}"
  user_name     = each.value.name
  engine        = "redis"
  access_string = each.value.rights

  authentication_mode {
    type      = "password"
    passwords = [for name in each.value.passwords : local.password[name]]
  }
}

resource "aws_elasticache_user_group" "redis" {
  for_each      = local.redis
  user_group_id = "${local.name}-${each.key}"
  engine        = "redis"
  user_ids      = [for key, user in local.redis_users : aws_elasticache_user.redis[key].user_id if user.of == each.key]
}

resource "aws_elasticache_subnet_group" "redis" {
  name       = local.name
  subnet_ids = local.setup.database_subnet_ids
}

resource "aws_elasticache_parameter_group" "redis" {
  for_each    = local.redis
  name        = "${local.name}-${each.key}"
  family      = "redis7"
  description = each.value.description

  parameter {
    name  = "maxmemory-policy"
    value = each.value.policy
  }
}

resource "aws_elasticache_replication_group" "redis" {
  #checkov:skip=CKV_AWS_31:Each user has passwords and rights of its own (user_group_ids), which excludes the one token for all.
  for_each             = local.redis
  replication_group_id = "${local.name}-${each.key}"
  description          = each.value.description

  engine               = "redis"
  engine_version       = "7.1"
  node_type            = each.value.class
  parameter_group_name = aws_elasticache_parameter_group.redis[each.key].name
  port                 = 6379

  num_cache_clusters         = 2
  automatic_failover_enabled = true
  multi_az_enabled           = true

  at_rest_encryption_enabled = true
  kms_key_id                 = aws_kms_key.main.arn
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  user_group_ids             = [aws_elasticache_user_group.redis[each.key].user_group_id]
  subnet_group_name          = aws_elasticache_subnet_group.redis.name
  security_group_ids         = [aws_security_group.redis[each.key].id]

  snapshot_retention_limit   = each.value.snapshot_days
  snapshot_window            = each.value.snapshot_days > 0 ? "02:30-03:30" : null
  maintenance_window         = "sun:04:00-sun:05:00"
  auto_minor_version_upgrade = true
  apply_immediately          = !local.production

  log_delivery_configuration {
    log_type         = "slow-log"
    log_format       = "json"
    destination_type = "cloudwatch-logs"
    destination      = aws_cloudwatch_log_group.redis[each.key].name
  }
}

resource "aws_cloudwatch_log_group" "redis" {
  for_each          = local.redis
  name              = "${local.log_path}/redis-${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.main.arn
}
