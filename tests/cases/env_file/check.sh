# A shell reads the dotenv file as it was meant.
. /srv/dotenv
test "$API_KEY" = an-api-key-that-nobody-sees
test "$AWKWARD" = "quotes \" and \$dollars and \`ticks\`"
test "$MODE $PORT" = "slow 8000"
test "$(stat -c %a:%U /srv/dotenv)" = 600:www-data
