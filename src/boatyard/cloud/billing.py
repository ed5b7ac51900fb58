"""Which billing account pays for a project: it is named by somebody, and one that pays is never replaced."""

from boatyard.cloud.access import Cloud
from boatyard.config.errors import UserError


def payer(cloud: Cloud) -> str:
    """The number of the account that pays; empty if none does. Raises Undecided: the caller may not see it."""
    info = cloud.get("cloudbilling", _path(cloud)) or {}
    return str(info["billingAccountName"]).removeprefix("billingAccounts/") if info.get("billingEnabled") else ""


def link(cloud: Cloud, account: str) -> None:
    """Let this account pay, if none does. Raises UserError: another one does."""
    if paying := payer(cloud):
        refuse_another(cloud, paying, account)
        return
    cloud.api("cloudbilling").put(_path(cloud), {"billingAccountName": f"billingAccounts/{account}"})


def refuse_another(cloud: Cloud, paying: str, wanted: str) -> None:
    """Raises UserError: they are not the same; an empty `wanted` is any."""
    if wanted and paying != wanted:
        name = cloud.where.project
        raise UserError(f"billing account {paying} pays for {name}, not {wanted}: leave --billing out, or change it")


def accounts_to_choose_from(cloud: Cloud) -> str:
    """The open accounts that the caller may see, in words."""
    pages = cloud.api("cloudbilling").pages("v1/billingAccounts", "billingAccounts")
    names = [f"{each['name'].rpartition('/')[2]} {each.get('displayName', '')}" for each in pages if each.get("open")]
    return f"open: {', '.join(name.strip() for name in names)}" if names else "you see none: create one in the console"


def _path(cloud: Cloud) -> str:
    return f"v1/projects/{cloud.where.project}/billingInfo"
