# Edge caching, and the records of the host names. How long a redirect is kept is its own decision (s-maxage, ten seconds
# by default); whatever does not say so is not kept, or a link that was just created could hide behind an old 404.

resource "aws_cloudfront_cache_policy" "redirects" {
  count       = var.cdn_enabled ? 1 : 0
  name        = "${local.name}-redirects"
  comment     = "As long as s-maxage says, else not at all"
  min_ttl     = 0
  default_ttl = 0
  max_ttl     = 86400

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_brotli = false
    enable_accept_encoding_gzip   = false

    cookies_config {
      cookie_behavior = "none"
    }

    headers_config {
      header_behavior = "none"
    }

    # A redirect depends on nothing but its path.
    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

data "aws_cloudfront_cache_policy" "disabled" {
  count = var.cdn_enabled ? 1 : 0
  name  = "Managed-CachingDisabled"
}

# The origin gets every header, those of API keys (Authorization, X-Api-Key) and Idempotency-Key among them, and the query.
data "aws_cloudfront_origin_request_policy" "all_viewer" {
  count = var.cdn_enabled ? 1 : 0
  name  = "Managed-AllViewer"
}

resource "aws_cloudfront_function" "one_path" {
  count   = var.cdn_enabled ? 1 : 0
  name    = "${local.name}-one-path"
  comment = "One path for a link"
  runtime = "cloudfront-js-2.0"
  publish = true
  code    = file("${path.module}/one_path.js")
}

resource "aws_cloudfront_distribution" "main" {
  #checkov:skip=CKV_AWS_86:Who follows which link is not recorded; blocked requests are, by the firewall.
  #checkov:skip=CKV_AWS_305:There is no page at the root.
  #checkov:skip=CKV_AWS_310:One origin; the load balancer spans the availability zones.
  #checkov:skip=CKV_AWS_374:Short links are for the whole world.
  #checkov:skip=CKV2_AWS_32:The components and the load balancer send the headers themselves.
  #checkov:skip=CKV2_AWS_47:The firewall of the module cdn_firewall holds the rule group for known bad inputs, Log4j among them.
  count           = var.cdn_enabled ? 1 : 0
  enabled         = true
  comment         = local.name
  aliases         = [var.domain_name]
  http_version    = "http2and3"
  is_ipv6_enabled = true
  web_acl_id      = module.cdn_firewall[0].arn

  origin {
    origin_id   = "load-balancer"
    domain_name = var.origin_domain_name

    custom_header {
      name  = "x-short-link-edge"
      value = local.password["origin_header"]
    }

    custom_origin_config {
      http_port                = 80
      https_port               = 443
      origin_protocol_policy   = "https-only"
      origin_ssl_protocols     = ["TLSv1.2"]
      origin_read_timeout      = 20
      origin_keepalive_timeout = 55
    }
  }

  default_cache_behavior {
    target_origin_id         = "load-balancer"
    viewer_protocol_policy   = "redirect-to-https"
    allowed_methods          = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
    cached_methods           = ["GET", "HEAD"]
    cache_policy_id          = aws_cloudfront_cache_policy.redirects[0].id
    origin_request_policy_id = data.aws_cloudfront_origin_request_policy.all_viewer[0].id
    compress                 = false

    function_association {
      event_type   = "viewer-request"
      function_arn = aws_cloudfront_function.one_path[0].arn
    }
  }

  # What an API key may see is for its owner alone.
  ordered_cache_behavior {
    path_pattern             = "/v1/links*"
    target_origin_id         = "load-balancer"
    viewer_protocol_policy   = "redirect-to-https"
    allowed_methods          = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
    cached_methods           = ["GET", "HEAD"]
    cache_policy_id          = data.aws_cloudfront_cache_policy.disabled[0].id
    origin_request_policy_id = data.aws_cloudfront_origin_request_policy.all_viewer[0].id
    compress                 = false
  }

  # Left alone, CloudFront keeps errors for ten seconds.
  dynamic "custom_error_response" {
    for_each = toset([400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504])

    content {
      error_code            = custom_error_response.value
      error_caching_min_ttl = 0
    }
  }

  viewer_certificate {
    acm_certificate_arn      = var.cdn_certificate_arn
    ssl_support_method       = "sni-only"
    minimum_protocol_version = "TLSv1.2_2021"
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }
}

locals {
  load_balancer_alias = { name = aws_lb.main.dns_name, zone_id = aws_lb.main.zone_id }
  records = var.zone_id == null ? {} : merge(
    { (var.domain_name) = var.cdn_enabled ? { name = aws_cloudfront_distribution.main[0].domain_name, zone_id = aws_cloudfront_distribution.main[0].hosted_zone_id } : local.load_balancer_alias },
    var.cdn_enabled ? { (var.origin_domain_name) = local.load_balancer_alias } : {},
  )
}

resource "aws_route53_record" "main" {
  for_each = local.records
  zone_id  = var.zone_id
  name     = each.key
  type     = "A"

  alias {
    name                   = each.value.name
    zone_id                = each.value.zone_id
    evaluate_target_health = false
  }
}
