// The notification types as the API lists them, with the fields of their details.

export interface NotificationTypeItem {
  readonly id: string;
  /** null: the type has no details. */
  readonly fields:
    | readonly { readonly name: string; readonly description: string; readonly optional: boolean }[]
    | null;
}

function field(name: string, description: string, optional = false) {
  return { name, description, optional };
}

/** All types, by id. `service_endpoint` of pagerduty is accepted and, as in the original, not listed. */
export const notificationTypes: readonly NotificationTypeItem[] = [
  { id: 'atomHopper', fields: [field('category', 'Category of the feed entries')] },
  { id: 'email', fields: [field('address', 'Email address to send to')] },
  { id: 'managed', fields: null },
  { id: 'pagerduty', fields: [field('service_key', 'Key of the PagerDuty service')] },
  {
    id: 'sms',
    fields: [field('phone_number', 'Phone number in international form, + and digits')],
  },
  { id: 'technicalContactsEmail', fields: null },
  {
    id: 'victorops',
    fields: [
      field('api_key', 'API key of the VictorOps REST integration'),
      field('routing_key', 'Routing key of the team'),
    ],
  },
  { id: 'webhook', fields: [field('url', 'http or https URL to POST to')] },
];
