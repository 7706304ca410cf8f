# What somebody should look at. docs/operations.md says what to do about each.

resource "aws_sns_topic" "alarms" {
  name              = "${local.name}-alarms"
  kms_master_key_id = aws_kms_key.main.arn
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Alarms"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms.arn
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each  = var.alarm_emails
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

# The last line of each round of the batch tells how everything stands. What it could not find out it leaves away.

locals {
  metrics = "ShortLink/${terraform.workspace}"

  round_metrics = {
    CodesAvailable  = { pattern = "{ ($.event = \"round\") && ($.codes_available = *) }", value = "$.codes_available" }
    PartitionsAhead = { pattern = "{ ($.event = \"round\") && ($.partitions_ahead = *) }", value = "$.partitions_ahead" }
    Rounds          = { pattern = "{ $.event = \"round\" }", value = "1" }
    FailedRounds    = { pattern = "{ ($.event = \"round\") && ($.failed[0] = *) }", value = "1" }
  }
}

resource "aws_cloudwatch_log_metric_filter" "round" {
  for_each       = local.round_metrics
  name           = each.key
  log_group_name = aws_cloudwatch_log_group.task["batch"].name
  pattern        = each.value.pattern

  metric_transformation {
    namespace = local.metrics
    name      = each.key
    value     = each.value.value
  }
}

locals {
  load_balancer_dimensions = { LoadBalancer = aws_lb.main.arn_suffix }
  target_dimensions        = { LoadBalancer = aws_lb.main.arn_suffix, TargetGroup = aws_lb_target_group.api.arn_suffix }
  postgres_dimensions      = { DBInstanceIdentifier = aws_db_instance.main.identifier }

  # periods are of five minutes. missing: what it means when there is no value at all.
  alarms = {
    codes-available = {
      about      = "The pool of codes runs dry, or nobody knows how full it is. Creates go on with random codes."
      namespace  = local.metrics, metric = "CodesAvailable", statistic = "Minimum", dimensions = {}
      comparison = "LessThanThreshold", threshold = floor(var.codes_target / 5), periods = 3, missing = "breaching"
    }
    partitions-ahead = {
      about      = "Next month has no partition yet, or nobody knows."
      namespace  = local.metrics, metric = "PartitionsAhead", statistic = "Minimum", dimensions = {}
      comparison = "LessThanThreshold", threshold = 1, periods = 3, missing = "breaching"
    }
    batch-failed = {
      about      = "Steps of the batch fail again and again; its log says why."
      namespace  = local.metrics, metric = "FailedRounds", statistic = "Sum", dimensions = {}
      comparison = "GreaterThanThreshold", threshold = 0, periods = 3, missing = "notBreaching"
    }
    batch-silent = {
      about      = "The batch has not ended a round for half an hour."
      namespace  = local.metrics, metric = "Rounds", statistic = "Sum", dimensions = {}
      comparison = "LessThanThreshold", threshold = 1, periods = 6, missing = "breaching"
    }
    batch-not-started = {
      about      = "The scheduler gave up starting the batch; the queue holds what it tried."
      namespace  = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", statistic = "Maximum", dimensions = { QueueName = aws_sqs_queue.dead_letters.name }
      comparison = "GreaterThanThreshold", threshold = 0, periods = 1, missing = "notBreaching"
    }
    load-balancer-5xx = {
      about      = "The load balancer finds no task that answers."
      namespace  = "AWS/ApplicationELB", metric = "HTTPCode_ELB_5XX_Count", statistic = "Sum", dimensions = local.load_balancer_dimensions
      comparison = "GreaterThanThreshold", threshold = 25, periods = 1, missing = "notBreaching"
    }
    unhealthy-tasks = {
      about      = "Tasks do not answer their health check."
      namespace  = "AWS/ApplicationELB", metric = "UnHealthyHostCount", statistic = "Maximum", dimensions = local.target_dimensions
      comparison = "GreaterThanThreshold", threshold = 0, periods = 2, missing = "notBreaching"
    }
    database-connections = {
      about      = "Postgres runs out of connections: fewer tasks, or a larger class."
      namespace  = "AWS/RDS", metric = "DatabaseConnections", statistic = "Maximum", dimensions = local.postgres_dimensions
      comparison = "GreaterThanThreshold", threshold = floor(local.size.postgres_connections * 0.8), periods = 2, missing = "breaching"
    }
    database-storage = {
      about      = "Postgres has little room left and may not grow further."
      namespace  = "AWS/RDS", metric = "FreeStorageSpace", statistic = "Minimum", dimensions = local.postgres_dimensions
      comparison = "LessThanThreshold", threshold = local.size.postgres_storage * 1073741824 / 10, periods = 2, missing = "breaching"
    }
    database-cpu = {
      about      = "Postgres is busy."
      namespace  = "AWS/RDS", metric = "CPUUtilization", statistic = "Average", dimensions = local.postgres_dimensions
      comparison = "GreaterThanThreshold", threshold = 80, periods = 3, missing = "breaching"
    }
    codes-memory = {
      about      = "The Redis of the codes is nearly full; it will refuse more."
      namespace  = "AWS/ElastiCache", metric = "DatabaseMemoryUsagePercentage", statistic = "Maximum", dimensions = { CacheClusterId = "${aws_elasticache_replication_group.redis["codes"].replication_group_id}-001" }
      comparison = "GreaterThanThreshold", threshold = 80, periods = 2, missing = "notBreaching"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "main" {
  for_each            = local.alarms
  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = each.value.about
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = 300
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "${local.name}-5xx"
  alarm_description   = "More than one answer in a hundred is a 5xx."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 1
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "percent"
    label       = "5xx in percent"
    expression  = "IF(requests > 0, 100 * FILL(errors, 0) / requests, 0)"
    return_data = true
  }

  metric_query {
    id = "errors"

    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "HTTPCode_Target_5XX_Count"
      dimensions  = local.load_balancer_dimensions
      stat        = "Sum"
      period      = 300
    }
  }

  metric_query {
    id = "requests"

    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "RequestCount"
      dimensions  = local.load_balancer_dimensions
      stat        = "Sum"
      period      = 300
    }
  }
}
