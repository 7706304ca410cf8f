# What the task runs: roles.sql is in $ROLES_SQL, the passwords in the variables below, the server in those of psql.
printf '%s\n' "$ROLES_SQL" >/tmp/roles.sql
for password in "$SHORTLINK_APP" "$SHORTLINK_APP_B" "$SHORTLINK_MANAGE" "$SHORTLINK_MANAGE_B" "$SHORTLINK_BATCH" "$SHORTLINK_BATCH_B"; do
    printf '%s\n%s\n' "$password" "$password"
done | psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --file=/tmp/roles.sql
