"""Every route."""
urlpatterns = []
