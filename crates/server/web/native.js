// This browser and the visitor's own key: navigator.credentials with the JSON methods of WebAuthn
// Level 3, and the same by hand for browsers that do not have them yet.

import { byId } from "./dom.js";

const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const toText = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const descriptors = (list) => list?.map((entry) => ({ ...entry, id: toBytes(entry.id) }));

function creationOptions(json) {
  if (PublicKeyCredential.parseCreationOptionsFromJSON) return PublicKeyCredential.parseCreationOptionsFromJSON(json);
  return {
    ...json,
    challenge: toBytes(json.challenge),
    user: { ...json.user, id: toBytes(json.user.id) },
    excludeCredentials: descriptors(json.excludeCredentials),
  };
}

function requestOptions(json) {
  if (PublicKeyCredential.parseRequestOptionsFromJSON) return PublicKeyCredential.parseRequestOptionsFromJSON(json);
  return { ...json, challenge: toBytes(json.challenge), allowCredentials: descriptors(json.allowCredentials) };
}

function toJson(credential) {
  if (credential.toJSON) return credential.toJSON();
  const { response } = credential;
  const answer = { clientDataJSON: toText(response.clientDataJSON) };
  if (response.attestationObject) {
    answer.attestationObject = toText(response.attestationObject);
    answer.transports = response.getTransports?.() ?? [];
  } else {
    answer.authenticatorData = toText(response.authenticatorData);
    answer.signature = toText(response.signature);
    if (response.userHandle) answer.userHandle = toText(response.userHandle);
  }
  return {
    id: credential.id,
    rawId: toText(credential.rawId),
    type: credential.type,
    response: answer,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
  };
}

/** Why this browser cannot do it here, or an empty string. */
export function missing() {
  if (!window.isSecureContext) return "Browsers offer WebAuthn on https and localhost only.";
  if (!window.PublicKeyCredential) return "This browser has no WebAuthn.";
  return "";
}

/** Runs the browser's own ceremony and gives the credential in its JSON form. */
export async function ask(ceremony, publicKey) {
  const credential = ceremony === "registration"
    ? await navigator.credentials.create({ publicKey: creationOptions(publicKey) })
    : await navigator.credentials.get({ publicKey: requestOptions(publicKey) });
  return toJson(credential);
}

/** Says below the heading what this browser has. */
export function describeSupport() {
  byId("native-support").textContent = missing() || (PublicKeyCredential.parseCreationOptionsFromJSON
    ? "This browser has the JSON methods of WebAuthn Level 3."
    : "This browser has WebAuthn without the JSON methods of Level 3; the page converts by hand.");
}
