# Who may talk to whom: internet or CloudFront -> load balancer -> tasks -> Postgres, Redis, endpoints of AWS. The rest is closed.

resource "aws_security_group" "load_balancer" {
  name        = "${local.name}-load-balancer"
  description = "The load balancer"
  vpc_id      = local.setup.vpc_id
  tags        = { Name = "${local.name}-load-balancer" }
}

resource "aws_security_group" "api" {
  name        = "${local.name}-api"
  description = "Tasks of the API"
  vpc_id      = local.setup.vpc_id
  tags        = { Name = "${local.name}-api" }
}

resource "aws_security_group" "batch" {
  #checkov:skip=CKV2_AWS_5:The scheduler gives it to the tasks that it starts.
  name        = "${local.name}-batch"
  description = "Tasks of the batch, and of the roles of the database"
  vpc_id      = local.setup.vpc_id
  tags        = { Name = "${local.name}-batch" }
}

resource "aws_security_group" "postgres" {
  name        = "${local.name}-postgres"
  description = "Postgres"
  vpc_id      = local.setup.vpc_id
  tags        = { Name = "${local.name}-postgres" }
}

resource "aws_security_group" "redis" {
  #checkov:skip=CKV2_AWS_5:Each replication group has the one of its own name, which checkov does not follow through for_each.
  for_each    = local.redis
  name        = "${local.name}-redis-${each.key}"
  description = "Redis: ${each.key}"
  vpc_id      = local.setup.vpc_id
  tags        = { Name = "${local.name}-redis-${each.key}" }
}

# The only door. Port 80 leads to 443 and nowhere else.

resource "aws_vpc_security_group_ingress_rule" "internet" {
  #checkov:skip=CKV_AWS_260:The load balancer answers port 80 with a redirect to HTTPS.
  for_each          = var.cdn_enabled ? toset([]) : toset(["80", "443"])
  security_group_id = aws_security_group.load_balancer.id
  description       = "The internet"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)
}

data "aws_ec2_managed_prefix_list" "cloudfront" {
  count = var.cdn_enabled ? 1 : 0
  name  = "com.amazonaws.global.cloudfront.origin-facing"
}

resource "aws_vpc_security_group_ingress_rule" "cloudfront" {
  count             = var.cdn_enabled ? 1 : 0
  security_group_id = aws_security_group.load_balancer.id
  description       = "CloudFront"
  prefix_list_id    = data.aws_ec2_managed_prefix_list.cloudfront[0].id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

locals {
  # From which group to which, on which port.
  links = {
    load-balancer-to-api = { from = aws_security_group.load_balancer.id, to = aws_security_group.api.id, port = 8080 }
    api-to-postgres      = { from = aws_security_group.api.id, to = aws_security_group.postgres.id, port = 5432 }
    api-to-cache         = { from = aws_security_group.api.id, to = aws_security_group.redis["cache"].id, port = 6379 }
    api-to-codes         = { from = aws_security_group.api.id, to = aws_security_group.redis["codes"].id, port = 6379 }
    batch-to-postgres    = { from = aws_security_group.batch.id, to = aws_security_group.postgres.id, port = 5432 }
    batch-to-cache       = { from = aws_security_group.batch.id, to = aws_security_group.redis["cache"].id, port = 6379 }
    batch-to-codes       = { from = aws_security_group.batch.id, to = aws_security_group.redis["codes"].id, port = 6379 }
  }
  tasks = { api = aws_security_group.api.id, batch = aws_security_group.batch.id }
}

resource "aws_vpc_security_group_egress_rule" "link" {
  for_each                     = local.links
  security_group_id            = each.value.from
  referenced_security_group_id = each.value.to
  description                  = each.key
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_ingress_rule" "link" {
  for_each                     = local.links
  security_group_id            = each.value.to
  referenced_security_group_id = each.value.from
  description                  = each.key
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "endpoints" {
  for_each                     = local.tasks
  security_group_id            = each.value
  referenced_security_group_id = local.setup.endpoints_security_group_id
  description                  = "Images, logs and secrets"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "layers" {
  for_each          = local.tasks
  security_group_id = each.value
  prefix_list_id    = local.setup.s3_prefix_list_id
  description       = "Layers of the images"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
