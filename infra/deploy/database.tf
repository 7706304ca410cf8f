# Postgres, which alone decides where a code leads.

resource "aws_db_subnet_group" "main" {
  name       = local.name
  subnet_ids = local.setup.database_subnet_ids
}

resource "aws_db_parameter_group" "main" {
  name_prefix = "${local.name}-17-"
  family      = "postgres17"
  description = "Postgres of ${local.name}"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  parameter {
    name         = "max_connections"
    value        = tostring(local.size.postgres_connections)
    apply_method = "pending-reboot"
  }

  parameter {
    name  = "log_statement"
    value = "ddl"
  }

  # In milliseconds. Statements of the components end after two seconds.
  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "main" {
  #checkov:skip=CKV_AWS_293:Deletion is protected in production, which the tests check; staging can be removed.
  #checkov:skip=CKV_AWS_161:Spin and the batch sign in by password; tokens of IAM last 15 minutes and Spin cannot renew them.
  #checkov:skip=CKV2_AWS_30:Statements are logged as far as they change the schema or are slow; log_statement=all would log every link.
  identifier     = local.name
  engine         = "postgres"
  engine_version = "17"
  instance_class = local.size.postgres_class

  # Only for the task that makes the roles and the database short_link (roles.tf).
  username                      = "shortlink_master"
  manage_master_user_password   = true
  master_user_secret_kms_key_id = aws_kms_key.main.arn

  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.main.arn
  allocated_storage     = local.size.postgres_storage
  max_allocated_storage = local.size.postgres_storage_max

  multi_az               = true
  publicly_accessible    = false
  db_subnet_group_name   = aws_db_subnet_group.main.name
  vpc_security_group_ids = [aws_security_group.postgres.id]
  parameter_group_name   = aws_db_parameter_group.main.name
  ca_cert_identifier     = "rds-ca-rsa2048-g1"
  port                   = 5432

  auto_minor_version_upgrade = true
  maintenance_window         = "sun:03:00-sun:04:00"
  backup_window              = "01:30-02:30"
  backup_retention_period    = local.size.postgres_backup_days
  copy_tags_to_snapshot      = true
  delete_automated_backups   = !local.production
  deletion_protection        = local.production
  skip_final_snapshot        = !local.production
  final_snapshot_identifier  = local.production ? "${local.name}-final" : null
  # A change that restarts the database waits for the window in production.
  apply_immediately = !local.production

  performance_insights_enabled          = true
  performance_insights_kms_key_id       = aws_kms_key.main.arn
  performance_insights_retention_period = 7
  monitoring_interval                   = 60
  monitoring_role_arn                   = aws_iam_role.monitoring.arn
  enabled_cloudwatch_logs_exports       = ["postgresql", "upgrade"]

  depends_on = [aws_cloudwatch_log_group.postgres]
}

# Made here, or RDS would make them without an end to what they keep.
resource "aws_cloudwatch_log_group" "postgres" {
  for_each          = toset(["postgresql", "upgrade"])
  name              = "/aws/rds/instance/${local.name}/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.main.arn
}

resource "aws_iam_role" "monitoring" {
  name        = "${local.name}-rds-monitoring"
  description = "Writes the metrics of the database's machine"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}
