"""The pages of allauth that we show, under the names by which it knows them; nothing else."""

from allauth.account import views
from allauth.mfa.recovery_codes.views import download_recovery_codes
from allauth.mfa.webauthn.views import login_webauthn
from allauth.socialaccount import views as social
from django.urls import path, re_path
from django.views.generic import RedirectView

from apps.labeling.views import accounts, providers, second_factor, sessions

PASSKEY = "2fa/passkeys/<int:pk>/"
urlpatterns = [
    path("login/", accounts.LoginView.as_view(), name="account_login"),
    path("logout/", accounts.LogoutView.as_view(), name="account_logout"),
    path("signup/", accounts.SignupView.as_view(), name="account_signup"),
    path(
        "confirm-email/",
        accounts.ConfirmEmailView.as_view(),
        name="account_email_verification_sent",
    ),
    path("email/", RedirectView.as_view(pattern_name="mfa_index"), name="account_email"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    path(
        "reauthenticate/",
        second_factor.ReauthenticateView.as_view(),
        name="account_reauthenticate",
    ),
    path(
        "password/change/",
        accounts.PasswordChangeView.as_view(),
        name="account_change_password",
    ),
    path("password/set/", accounts.PasswordSetView.as_view(), name="account_set_password"),
    path("password/reset/", accounts.PasswordResetView.as_view(), name="account_reset_password"),
    path("password/reset/done/", views.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        accounts.PasswordResetFromKeyView.as_view(),
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        views.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("sessions/", sessions.sessions, name="usersessions_list"),
    path("2fa/", second_factor.IndexView.as_view(), name="mfa_index"),
    path("2fa/authenticate/", second_factor.AuthenticateView.as_view(), name="mfa_authenticate"),
    path(
        "2fa/reauthenticate/",
        second_factor.ReauthenticateByCodeView.as_view(),
        name="mfa_reauthenticate",
    ),
    path("2fa/app/add/", second_factor.AddAppView.as_view(), name="mfa_activate_totp"),
    path("2fa/app/remove/", second_factor.RemoveAppView.as_view(), name="mfa_deactivate_totp"),
    path("2fa/codes/", second_factor.RecoveryCodesView.as_view(), name="mfa_view_recovery_codes"),
    path(
        "2fa/codes/new/",
        second_factor.NewRecoveryCodesView.as_view(),
        name="mfa_generate_recovery_codes",
    ),
    path("2fa/codes/download/", download_recovery_codes, name="mfa_download_recovery_codes"),
    path(
        "2fa/passkeys/",
        RedirectView.as_view(pattern_name="mfa_index"),
        name="mfa_list_webauthn",
    ),
    path("2fa/passkeys/add/", second_factor.AddPasskeyView.as_view(), name="mfa_add_webauthn"),
    path("2fa/passkeys/login/", login_webauthn, name="mfa_login_webauthn"),
    path(
        "2fa/passkeys/reauthenticate/",
        second_factor.ReauthenticateByPasskeyView.as_view(),
        name="mfa_reauthenticate_webauthn",
    ),
    path(
        f"{PASSKEY}remove/", second_factor.RemovePasskeyView.as_view(), name="mfa_remove_webauthn"
    ),
    path(f"{PASSKEY}edit/", second_factor.RenamePasskeyView.as_view(), name="mfa_edit_webauthn"),
    path("with/<str:provider>/", providers.begin, name="provider_begin"),
    path(
        "oidc/<str:provider_id>/login/callback/", providers.openid, name="openid_connect_callback"
    ),
    path("google/login/callback/", providers.google, name="google_callback"),
    path("github/login/callback/", providers.github, name="github_callback"),
    path("microsoft/login/callback/", providers.microsoft, name="microsoft_callback"),
    path("providers/", providers.ConnectionsView.as_view(), name="socialaccount_connections"),
    path("providers/cancelled/", social.login_cancelled, name="socialaccount_login_cancelled"),
    path("providers/error/", social.login_error, name="socialaccount_login_error"),
]
