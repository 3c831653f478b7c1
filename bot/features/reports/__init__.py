"""Images that members report, and the moderators' queue of them."""
