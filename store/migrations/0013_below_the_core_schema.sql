-- What stands below the URN of a core schema, or behind it, is an attribute of the resource itself by another name. An earlier version kept it
-- as it came, a password too, where no client can change it: it goes. Without the LIKE, which needs no parsing, each document would be taken
-- apart. The version tells clients that they have not seen this.
UPDATE persons SET version = version + 1, document = json_patch(document, (
    SELECT json_group_object(key, NULL) FROM json_each(document)
    WHERE key LIKE 'urn:ietf:params:scim:schemas:core:2.0:User' OR key LIKE 'urn:ietf:params:scim:schemas:core:2.0:User:%'
       OR key LIKE 'urn:ietf:params:scim:schemas:core:2.0:Group' OR key LIKE 'urn:ietf:params:scim:schemas:core:2.0:Group:%'))
WHERE document LIKE '%"urn:ietf:params:scim:schemas:core:2.0:%';
UPDATE groups SET version = version + 1, document = json_patch(document, (
    SELECT json_group_object(key, NULL) FROM json_each(document)
    WHERE key LIKE 'urn:ietf:params:scim:schemas:core:2.0:User' OR key LIKE 'urn:ietf:params:scim:schemas:core:2.0:User:%'
       OR key LIKE 'urn:ietf:params:scim:schemas:core:2.0:Group' OR key LIKE 'urn:ietf:params:scim:schemas:core:2.0:Group:%'))
WHERE document LIKE '%"urn:ietf:params:scim:schemas:core:2.0:%';
