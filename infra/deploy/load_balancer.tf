# HTTPS ends here. The answers that are not the API's own are those of the front door, in each task.

resource "aws_lb" "main" {
  #checkov:skip=CKV_AWS_150:Deletion is protected in production; staging shall go away by one command.
  name                       = local.name
  load_balancer_type         = "application"
  internal                   = false
  subnets                    = local.setup.public_subnet_ids
  security_groups            = [aws_security_group.load_balancer.id]
  enable_deletion_protection = local.production
  drop_invalid_header_fields = true
  desync_mitigation_mode     = "strictest"
  idle_timeout               = 60

  access_logs {
    enabled = true
    bucket  = aws_s3_bucket.access_logs.bucket
  }

  depends_on = [aws_s3_bucket_policy.access_logs]
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "redirect"

    redirect {
      protocol    = "HTTPS"
      port        = "443"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.main.arn
  port              = 443
  protocol          = "HTTPS"
  # TLS 1.3, and 1.2 with forward secrecy for clients that know no better.
  ssl_policy      = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
  certificate_arn = var.certificate_arn

  routing_http_response_strict_transport_security_header_value = "max-age=31536000"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api.arn
  }
}

resource "aws_lb_target_group" "api" {
  #checkov:skip=CKV_AWS_378:The way from the load balancer to the tasks stays in the private network, between two security groups.
  name        = local.name
  vpc_id      = local.setup.vpc_id
  target_type = "ip"
  protocol    = "HTTP"
  port        = 8080

  # Spin does not drain: a task is asked to end only after this time without new requests.
  deregistration_delay          = 30
  load_balancing_algorithm_type = "least_outstanding_requests"

  # Not /ready: without Postgres the tasks still answer from the cache, and new ones would be no better.
  health_check {
    path                = "/v1/health"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }

  lifecycle {
    create_before_destroy = true
  }
}

# Access logs.

resource "aws_s3_bucket" "access_logs" {
  #checkov:skip=CKV_AWS_18:It is the bucket of the logs.
  #checkov:skip=CKV_AWS_21:Logs are written once and never changed.
  #checkov:skip=CKV_AWS_144:Access logs are not worth a second region.
  #checkov:skip=CKV_AWS_145:Load balancers write to buckets with SSE-S3 only.
  #checkov:skip=CKV2_AWS_62:Nothing acts on new logs.
  bucket        = "${local.name}-access-logs-${local.account}"
  force_destroy = !local.production
}

resource "aws_s3_bucket_server_side_encryption_configuration" "access_logs" {
  bucket = aws_s3_bucket.access_logs.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "access_logs" {
  bucket                  = aws_s3_bucket.access_logs.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "access_logs" {
  bucket = aws_s3_bucket.access_logs.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "access_logs" {
  bucket = aws_s3_bucket.access_logs.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.log_retention_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_policy" "access_logs" {
  bucket = aws_s3_bucket.access_logs.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "LoadBalancer"
        Effect    = "Allow"
        Principal = { Service = "logdelivery.elasticloadbalancing.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.access_logs.arn}/AWSLogs/${local.account}/*"
        Condition = {
          ArnLike = { "aws:SourceArn" = "arn:${local.partition}:elasticloadbalancing:${var.region}:${local.account}:loadbalancer/*" }
        }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.access_logs.arn, "${aws_s3_bucket.access_logs.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.access_logs]
}
