"""moto, with the one operation of IAM Identity Center that it lacks: what it is asked to assign, it has assigned at once."""
import json

from moto.server import main
from moto.ssoadmin.responses import SSOAdminResponse


def list_account_assignment_creation_status(_):
    return json.dumps({"AccountAssignmentsCreationStatus": []})


SSOAdminResponse.list_account_assignment_creation_status = list_account_assignment_creation_status
main()
