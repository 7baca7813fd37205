"""Talks to the simulated host with pywinrm, as somebody else's client would.

Arguments: the URL of the sealed port, the URL behind the TLS terminator, user, password.
Prints one line per thing that was seen to work; anything else is an exception.
"""

import sys
import time
import xml.etree.ElementTree as ET

import xmltodict
from winrm.exceptions import InvalidCredentialsError, WSManFaultError
from winrm.protocol import Protocol

ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
CIMV2 = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/"
NS = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "n": ENUMERATION,
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
}


def send(protocol, action, resource, body, selectors=None):
    message = {"env:Envelope": protocol.build_wsman_header(action, resource)}
    if selectors:
        message["env:Envelope"]["env:Header"]["w:SelectorSet"] = {
            "w:Selector": [{"@Name": name, "#text": value} for name, value in selectors.items()]
        }
    message["env:Envelope"]["env:Body"] = body
    return ET.fromstring(protocol.send_message(xmltodict.unparse(message)))


def query(protocol, wql):
    body = {
        "n:Enumerate": {
            "w:OptimizeEnumeration": None,
            "w:MaxElements": "5",
            "w:Filter": {
                "@Dialect": "http://schemas.microsoft.com/wbem/wsman/1/WQL",
                "#text": wql,
            },
        }
    }
    answer = send(protocol, ENUMERATION + "/Enumerate", CIMV2 + "*", body)
    items, pulls = list(answer.find(".//w:Items", NS)), 0
    while answer.find(".//w:EndOfSequence", NS) is None and answer.find(".//n:EndOfSequence", NS) is None:
        context = answer.find(".//n:EnumerationContext", NS).text
        body = {"n:Pull": {"n:EnumerationContext": context, "n:MaxElements": "5"}}
        answer = send(protocol, ENUMERATION + "/Pull", CIMV2 + "*", body)
        items += list(answer.find(".//n:Items", NS))
        pulls += 1
    return [{child.tag.split("}")[1]: child.text for child in item} for item in items], pulls


def state(protocol, name):
    found, _ = query(protocol, f"SELECT Name,State FROM Win32_Service WHERE Name='{name}'")
    return found[0]["State"]


def main(sealed_url, tls_url, user, password):
    sealed = Protocol(sealed_url, "ntlm", user, password, message_encryption="always")
    print("ntlm sealed:", state(sealed, "Spooler"))

    found, pulls = query(sealed, "SELECT * FROM Win32_Service")
    print("services:", len(found), "pulls:", pulls)

    try:
        query(sealed, "SELECT * FROM Win32_Nonsense")
    except WSManFaultError as fault:
        print("fault:", fault.wsman_fault_code)

    body = {"p:StartService_INPUT": {"@xmlns:p": CIMV2 + "Win32_Service"}}
    answer = send(
        sealed,
        CIMV2 + "Win32_Service/StartService",
        CIMV2 + "Win32_Service",
        body,
        {"Name": "ShopWorker"},
    )
    returned = answer.find(".//{" + CIMV2 + "Win32_Service}ReturnValue").text
    while state(sealed, "ShopWorker") == "Start Pending":
        time.sleep(0.05)
    print("started:", returned, state(sealed, "ShopWorker"))

    plain = Protocol(tls_url, "ntlm", user, password, message_encryption="never")
    print("ntlm plain:", state(plain, "Spooler"))
    basic = Protocol(tls_url, "basic", user, password)
    print("basic:", state(basic, "Spooler"))

    for url, transport in [(sealed_url, "ntlm"), (tls_url, "basic")]:
        try:
            state(Protocol(url, transport, user, "wrong"), "Spooler")
        except InvalidCredentialsError:
            print("refused:", transport)


main(*sys.argv[1:])
