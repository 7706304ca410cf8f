# The load balancer's firewall counts clients, or, behind CloudFront, refuses who does not come through our distribution;
# then CloudFront's counts the clients.

module "firewall" {
  source          = "./firewall"
  name            = local.name
  scope           = "REGIONAL"
  limits          = var.cdn_enabled ? null : { requests = var.request_limit, creates = var.create_limit }
  required_header = var.cdn_enabled ? local.password["origin_header"] : null
  log_group_arn   = aws_cloudwatch_log_group.firewall.arn
}

resource "aws_wafv2_web_acl_association" "load_balancer" {
  resource_arn = aws_lb.main.arn
  web_acl_arn  = module.firewall.arn
}

resource "aws_cloudwatch_log_group" "firewall" {
  name              = "aws-waf-logs-${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.main.arn
}

module "cdn_firewall" {
  source        = "./firewall"
  count         = var.cdn_enabled ? 1 : 0
  name          = "${local.name}-cdn"
  scope         = "CLOUDFRONT"
  limits        = { requests = var.request_limit, creates = var.create_limit }
  log_group_arn = aws_cloudwatch_log_group.cdn_firewall[0].arn

  providers = {
    aws = aws.us_east_1
  }
}

resource "aws_cloudwatch_log_group" "cdn_firewall" {
  #checkov:skip=CKV_AWS_158:It lives in another region than the key; CloudWatch encrypts it with a key of its own.
  count             = var.cdn_enabled ? 1 : 0
  provider          = aws.us_east_1
  name              = "aws-waf-logs-${local.name}-cdn"
  retention_in_days = var.log_retention_days
}
