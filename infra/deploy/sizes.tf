# How large everything is, by workspace. What is not named here is the same in both.

locals {
  sizes = {
    staging = {
      api_cpu              = 512 # of the whole task, 1024 a processor
      api_memory           = 1024
      tasks_min            = 2
      tasks_max            = 2
      postgres_class       = "db.t4g.medium"
      postgres_storage     = 20 # GiB
      postgres_storage_max = 100
      postgres_connections = 560 # some more than RDS would allow by default; manage needs few of its share
      postgres_backup_days = 7
      cache_class          = "cache.t4g.small"
      codes_class          = "cache.t4g.small"
      codes_snapshot_days  = 1
      requests_per_task    = 30000 # a minute, at which another task is added
    }
    production = {
      api_cpu              = 2048
      api_memory           = 4096
      tasks_min            = 3
      tasks_max            = 8
      postgres_class       = "db.r7g.large"
      postgres_storage     = 100
      postgres_storage_max = 1000
      postgres_connections = 2100
      postgres_backup_days = 35
      cache_class          = "cache.r7g.large"
      codes_class          = "cache.t4g.small"
      codes_snapshot_days  = 7
      requests_per_task    = 120000
    }
  }
}
