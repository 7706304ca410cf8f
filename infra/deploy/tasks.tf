# What every task has: a volume with the certificate authorities, and one that the programs may write to, both made ready
# by a container that runs first. The file systems of all containers are read-only.

locals {
  authorities_file = "/etc/short-link/ca.pem"

  log = {
    for task in ["api", "batch", "roles"] : task => {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.task[task].name
        awslogs-region        = var.region
        awslogs-stream-prefix = task
        # A log that cannot be written holds up no request.
        mode            = "non-blocking"
        max-buffer-size = "4m"
      }
    }
  }

  authorities_mount = { sourceVolume = "authorities", containerPath = "/etc/short-link", readOnly = true }
  scratch_mount     = { sourceVolume = "scratch", containerPath = "/tmp", readOnly = false }

  # Volumes of Fargate belong to root, and the programs are not: this container gives them a place.
  prepare = merge(local.hardening, {
    name        = "prepare"
    image       = var.images.psql
    essential   = false
    user        = "0"
    entryPoint  = ["sh", "-euc"]
    command     = ["printf '%s' \"$AUTHORITIES\" >/authorities/ca.pem && chmod 0444 /authorities/ca.pem && chmod 0755 /authorities && chmod 1777 /scratch"]
    environment = [{ name = "AUTHORITIES", value = var.authorities_pem }]
    mountPoints = [
      { sourceVolume = "authorities", containerPath = "/authorities", readOnly = false },
      { sourceVolume = "scratch", containerPath = "/scratch", readOnly = false },
    ]
  })
  prepared = [{ containerName = "prepare", condition = "SUCCESS" }]

  # What a container does not need.
  hardening = {
    readonlyRootFilesystem = true
    linuxParameters        = { initProcessEnabled = true, capabilities = { drop = ["ALL"] } }
  }
}

resource "aws_ecs_cluster" "main" {
  name = local.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}
