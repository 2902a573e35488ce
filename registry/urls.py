"""Routes of the registry's pages: signing in and out, data sets, the ledger, its published heads."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from registry import dataset_views, published, views
from registry.forms import SignIn

urlpatterns = [
    path(
        "sign-in",
        LoginView.as_view(authentication_form=SignIn, template_name="sign_in.html", redirect_authenticated_user=True),
        name="sign-in",
    ),
    path("sign-out", LogoutView.as_view(), name="sign-out"),
    path("datasets", dataset_views.dataset_list, name="datasets"),
    path("datasets/<str:digest>", dataset_views.dataset_page, name="dataset"),
    path("datasets/<str:digest>/retention", dataset_views.assign_retention, name="dataset-retention"),
    path("ledger", views.ledger_page, name="ledger"),
    path("ledger/waiting/<uuid:entry>", views.ledger_waiting, name="ledger-waiting"),
    path("ledger/<str:log>/<int:index>", views.ledger_entry, name="ledger-entry"),
    path("log/policy", published.policy, name="log-policy"),
    path("log/<path:name>", published.file, name="published-log"),
]
